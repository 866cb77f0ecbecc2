"""The tutorial's auth module: signing in."""
