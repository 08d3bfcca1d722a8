"""What a user can do, one function each; pages, commands and background jobs call the same ones."""
