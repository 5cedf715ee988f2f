"""Readers and preparers of raw data and pretrained models; knows no system."""
