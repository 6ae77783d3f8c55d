"""A run's own journal, and MLflow as a view of it."""
