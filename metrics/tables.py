"""Tables of metrics, as text."""
import tabulate


def percent(value):
    """Returns: str, a metric in percent, "-" for None"""
    return "-" if value is None else f"{100 * value:.1f}"


def overall_table(comparisons, names):
    """
    Args:
        comparisons (dict): of kinds, such as "bbox", to comparisons
        names: of metrics; a kind that has not the first of them has no row

    Returns:
        str: a row for each kind
    """
    return table([[kind, *(percent(comparison.metrics.get(name)) for name in names)]
                  for kind, comparison in comparisons.items() if names[0] in comparison.metrics], ["percent", *names])


def class_table(comparisons, class_names=None):
    """
    Args:
        comparisons (dict): as above
        class_names: of the classes that have a row, all if None

    Returns:
        str: with columns of their `per_class`
    """
    per_class = {kind: comparison.per_class for kind, comparison in comparisons.items()}
    class_names = comparisons["bbox"].class_names if class_names is None else class_names
    columns = [(kind, name) for kind in comparisons for name in next(iter(per_class[kind].values()), ())]
    return table([[class_name, *(percent(per_class[kind].get(class_name, {}).get(name)) for kind, name in columns)]
                  for class_name in class_names], ["class", *map(" ".join, columns)])


def table(rows, headers):
    """Returns: str, texts in rows, the first column at the left"""
    return tabulate.tabulate(rows, headers, tablefmt="simple", stralign="right", disable_numparse=True,
                             colalign=("left",) + ("right",) * (len(headers) - 1))
