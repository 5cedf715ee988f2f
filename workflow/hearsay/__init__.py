"""Reproduce five papers on auditory neuroscience and speech, from raw data to their tables."""
