"""The edge that all features share: parsing, guards, problems, observability."""
