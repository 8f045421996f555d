"""The streaming protocol: clicks are replayed in their order, requests stand between them, and new items appear.

=================== =============================================================================
``cut``             which clicks are learned from, and which items are withheld from learning
``click_log``       the clicks as columns: histories and seed sets as of any moment
``requests``        when users are asked for, and what they click next
``window``          the state of the items that a window's requests are answered from
``rankers``         who ranks: popularity, newest, random, item-kNN
``looks``           the look-alike ranker, with frozen and live vectors, and neighbours
``replay``          the loop, and what each variant of each ranker hit
``choice``          which variant validation prefers
``outcome``         hit rates with intervals, by position in the session, and exposure
=================== =============================================================================
"""
