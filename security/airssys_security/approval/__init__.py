"""What people decided about components: requests, reviews, approvals, and how long each of them holds."""
