"""Ways to run one EGRU layer over a chunk, all with the same numbers.

`layer` has the differentiable function that they share: products over the whole chunk, before and
after a loop over time. `torch_loop`, `numba_loop` and `triton_loop` are that loop; `reference_loop`
is a plain autograd loop without any of it. `selection` chooses.
"""
