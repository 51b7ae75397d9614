"""bits.py - whether two result files hold the same, bit by bit."""
import h5py


def datasets(path):
    """Every numeric dataset of the file but those of /run, which tells how it was made."""
    found = {}
    with h5py.File(path) as file:
        def visit(name, item):
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and not name.startswith("run/"):
                found[name] = item[()]
        file.visititems(visit)
    return found


def difference(path, wanted):
    """What of `path` is not as datasets() `wanted`; "" if all is."""
    seen = datasets(path)
    if seen.keys() != wanted.keys():
        return f"datasets that only one of them has: {sorted(seen.keys() ^ wanted.keys())[:5]}"
    for name, values in wanted.items():
        if (seen[name].dtype, seen[name].shape) != (values.dtype, values.shape):
            return f"{name} is {seen[name].dtype} {seen[name].shape}"
        if seen[name].tobytes() != values.tobytes():
            return f"{name} has other values"
    return ""


def crc32c(data):
    """CRC-32C (Castagnoli) as another program would work it out, bit by bit."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff
