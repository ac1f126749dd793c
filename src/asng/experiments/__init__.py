"""Experiments that compare ASNG with other methods: the paper's toy problem and known black boxes."""
