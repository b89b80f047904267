"""Questions asked of an account: does it match the venue's figures, which architecture, how it fared in a crash."""
