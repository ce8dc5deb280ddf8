"""Make the images of the virtual fleet, and check the machine that is to run it."""
