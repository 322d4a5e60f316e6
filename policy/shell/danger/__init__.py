"""How much harm a command line could do, whether or not it can be proved."""
