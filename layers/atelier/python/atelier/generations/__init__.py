"""One generation, from the accepted request to the delivered assets: submit, attempt, finish, cancel, expire."""
