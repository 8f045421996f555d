"""Seeds clustering: k-means of items' seed vectors (section 4 of the paper).

The centroids stand for the seeds (eq. 1, ``R_seeds = {E_centroid_1, ..., E_centroid_k}``). As the first author's
article has it, each is the mean of the seed vectors nearest to one k-means centre.
"""

from ralm.clustering.bulk import cluster, cluster_many
from ralm.clustering.clusters import Clusters, assign
from ralm.clustering.native import is_compiled

__all__ = ["Clusters", "assign", "cluster", "cluster_many", "is_compiled"]
