"""How the model is asked: one turn, other models where one fails, what a server refuses."""
