"""Users of other stacks and services become this service's."""
