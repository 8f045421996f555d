"""Encoders: from a user's history and profile to its vector. One contract (``encoder.py``), several ways to learn it.

============ =================================================================================== ==========
``spectral`` a closed form of the click matrix                                                   inductive
``learned``  linear in the history, trained on what is served with the own item left out (torch) inductive
``both``     the two side by side, the weight of the spectral half chosen on validation          inductive
``paper``    the user tower and look-alike towers (torch)                                        frozen
============ =================================================================================== ==========
"""
