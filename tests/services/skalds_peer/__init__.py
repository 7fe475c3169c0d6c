"""The real skalds 0.3.8 as processes: its System Controller and its nodes, in an environment of their own.

``controller`` and ``node`` run there; ``workers`` runs there and on this product's nodes alike. The rest is ours.
"""
