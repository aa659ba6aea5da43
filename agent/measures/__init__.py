"""What can be measured on a host. A measure yields, for each of its subjects, a number: the more, the worse."""
