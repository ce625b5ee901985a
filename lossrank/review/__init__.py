"""People's decisions on rows: the store, and the review tools and files that rows go to and decisions come from."""
