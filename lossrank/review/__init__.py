"""People's decisions on rows: their store, and the review tools and files that carry rows out and decisions back."""
