"""What a change will do: to the cloud, to every host, to the bill; before it does."""
