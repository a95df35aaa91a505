"""Papers as recipes: every setting beside the sentence that asks for it."""
