"""Makes the images of the virtual fleet, and looks over the machine that is to run it."""
