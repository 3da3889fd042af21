"""A small data set in PASCAL VOC's format on disk, which tests change as they like."""
from coco_folder import HEIGHT, WIDTH, write_image


def make_object(name="cat", corners=(11, 11, 30, 30), **fields):
    """XML of an object whose corners are 1-based and inclusive; `fields` are further elements."""
    box = "".join(f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), corners))
    others = "".join(f"<{key}>{value}</{key}>" for key, value in fields.items())
    return f"<object><name>{name}</name>{others}<bndbox>{box}</bndbox></object>"


def make_xml(*objects, file_name="000001.jpg", size=(HEIGHT, WIDTH)):
    size = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>" if size else ""
    return f"<annotation><folder>VOC</folder><filename>{file_name}</filename>{size}{''.join(objects)}</annotation>"


def write_voc(folder, annotations, split="train", suffix=".jpg"):
    """
    Write a folder in VOC's format.

    Args:
        annotations (dict): of the name of an image to the text of its XML file, or None for no such file
    """
    for part in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, (name, text) in enumerate(annotations.items()):
        if text is not None:
            (folder / "Annotations" / f"{name}.xml").write_text(text, encoding="utf-8")
        write_image(folder / "JPEGImages" / (name + suffix), seed=number)
    (folder / "ImageSets" / "Main" / f"{split}.txt").write_text("\n".join(annotations) + "\n", encoding="utf-8")


def write_images(folder, num_images, *changed, split="train"):
    """Write 000001, 000002, ... with a cat each, and then images with the XML texts `changed`."""
    texts = [make_xml(make_object())] * num_images + list(changed)
    write_voc(folder, {f"{number:06d}": text for number, text in enumerate(texts, start=1)}, split)
