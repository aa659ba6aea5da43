"""Taking over what was made by hand: found, shown, and put into Pulumi's state as the program names it."""
