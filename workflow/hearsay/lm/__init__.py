"""Event-based language models: EGRU, its baselines, training and event-driven inference."""
