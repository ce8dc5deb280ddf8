"""What builders send back: verified, recorded, stored."""
