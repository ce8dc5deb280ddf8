"""What runs on the master: the farm's memory, its judgement of wheels, and its site."""
