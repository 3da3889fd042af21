"""What is computed of all objects of a data set at once."""
import numpy as np

from data.check.split import measure_polygons


def test_polygons_are_measured_object_by_object():
    square, triangle, line = [0.0, 0, 4, 0, 4, 4, 0, 4], [10.0, 10, 16, 10, 10, 12], [1.0, 1, 2, 2, 3, 3]
    extents, areas = measure_polygons([list(map(np.array, polygons)) for polygons in
                                       ([triangle], [square, triangle], [line], [square[::-1]])])
    assert extents.tolist() == [[10, 10, 16, 12], [0, 0, 16, 12], [1, 1, 3, 3], [0, 0, 4, 4]]
    assert areas.tolist() == [6, 16 + 6, 0, 16]
