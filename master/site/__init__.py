"""What the web host serves: the index that pip reads, and pages for people."""
