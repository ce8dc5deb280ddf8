"""What runs on the control node: it rents Pis and the database's VM from Mythic Beasts."""
