"""What the paper and its peers are compared by: the toy problem, known black boxes."""
