"""bits.py - whether two result files hold the same, bit by bit."""
import h5py
import numpy


def datasets(path):
    """Every numeric dataset of the file but those of /run, which tells how it was made."""
    found = {}
    with h5py.File(path) as file:
        def visit(name, item):
            if isinstance(item, h5py.Dataset) and item.dtype.kind in "fiu" and not name.startswith("run/"):
                found[name] = item[()]
        file.visititems(visit)
    return found


def promises_bits(path):
    """Whether the run that wrote the file promises the same bits for any ranks, waves and panels."""
    with h5py.File(path) as file:
        return file["run"].attrs["same_bits"] == 1


def close(name, seen, wanted):
    """Equal but for float32's rounding in another order; a rank may pass logits that lie as close."""
    if wanted.dtype.kind != "f":
        return numpy.array_equal(seen, wanted)
    largest = numpy.nanmax(numpy.abs(wanted), initial=1, where=numpy.isfinite(wanted))
    return numpy.allclose(seen, wanted, rtol=0, atol=1 if name.endswith("rank") else 1e-4 * largest, equal_nan=True)


def difference(path, wanted):
    """What of `path` is not as datasets() `wanted`; "" if all is.  Bit by bit, where the run promises that: builds
    without AVX2 take OpenBLAS, whose rows depend on their company."""
    seen, exact = datasets(path), promises_bits(path)
    if seen.keys() != wanted.keys():
        return f"datasets that only one of them has: {sorted(seen.keys() ^ wanted.keys())[:5]}"
    for name, values in wanted.items():
        if (seen[name].dtype, seen[name].shape) != (values.dtype, values.shape):
            return f"{name} is {seen[name].dtype} {seen[name].shape}"
        if exact and seen[name].tobytes() != values.tobytes():
            return f"{name} has other values"
        if not exact and not close(name, seen[name], values):
            return f"{name} has other values, by {numpy.nanmax(numpy.abs(seen[name].astype(float) - values))} at most"
    return ""


def crc32c(data):
    """CRC-32C (Castagnoli) as another program would work it out, bit by bit."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff
