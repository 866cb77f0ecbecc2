"""The tutorial's users module: signing up, and what a user may see."""
