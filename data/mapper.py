"""One training image: read, augmented, and with its ground truth."""
from common import UserError

import numpy as np

from data import augment
from data.batch import Sample, pack_masks
from data.images import load_image


class TrainMapper:
    """
    Reads and augments one image.

    Args:
        records (sequence of Record): the images that there are
        policy (augment.Policy): of the augmentation
        mask_resolution (int): M of the box-frame masks, or None for no masks
        skeleton (Skeleton): of the keypoints, or None for no keypoints
    """

    def __init__(self, records, policy, mask_resolution, skeleton=None):
        self.records = records
        self.policy = policy
        self.mask_resolution = mask_resolution
        self._partners = None if skeleton is None else augment.mirror_partners(skeleton.names, skeleton.of_class)
        self._change_colours = augment.Colours(policy.colours)

    def make_sample(self, record, seed):
        """
        Args:
            record (Record)
            seed (int): of the random choices

        Returns:
            Sample

        Raises:
            UserError: the file cannot be used; the message starts with its path
        """
        rng = np.random.default_rng(seed)
        scene = self._see(record, self._draw_view(rng, record))
        image, objects = scene.image, scene.objects
        if self.policy.copy_paste > 0 and rng.random() < self.policy.copy_paste:
            image, objects = self._paste_another(rng, scene)
        image = self._change_colours(rng, image)
        masks = None if objects.masks is None else pack_masks(objects.masks)
        keypoints = objects.keypoints
        if keypoints is not None:
            keypoints = keypoints * (objects.labels != augment.CROWD_LABEL)[:, None, None]
        return Sample(image, record.image_id, seed, objects.boxes, objects.labels, masks, keypoints)

    def _draw_view(self, rng, record):
        def is_kept(window):
            view = augment.View(window, (window[3] - window[1], window[2] - window[0]))
            return (self._see_objects(record, view).labels != augment.CROWD_LABEL).any()

        return self.policy.draw_view(rng, record.size, record.boxes[~record.is_crowd], is_kept)

    def _see(self, record, view):
        image = view.see_image(load_image(record.file_name, record.size))
        return augment.Scene(image, self._see_objects(record, view), record, view)

    def _see_objects(self, record, view):
        return augment.see_objects(record, view, self.mask_resolution, self._partners)

    def _paste_another(self, rng, scene):
        """Returns: the image and the objects, as they are where the file of the other image cannot be used"""
        record = self.records[int(rng.integers(len(self.records)))]
        view, corner = self.policy.draw_pasted_view(rng, record.size, scene.view.size)
        try:
            source = self._see(record, view)
        except UserError:    # it is named when its own turn comes
            return scene.image, scene.objects
        return augment.paste(scene, augment.choose_objects(rng, source), corner)
