"""The edge that all features share: bodies, guards, problems, observability."""
