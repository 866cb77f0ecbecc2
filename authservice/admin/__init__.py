"""Who may look after others."""
