using BgSync.Http.LiteDB.Files;

namespace BgSync.Http.LiteDB.Tests.Durability;

/// <summary>
/// All writes and flushes of some files in their order, from which the states are made that a power cut can leave: what was flushed is
/// there, of what was not any sectors are.
/// </summary>
internal sealed class DiskRecord
{
    private const int Sector = 512;

    private readonly Dictionary<string, byte[]> _before = [];
    private readonly List<Operation> _operations = [];

    public int Length => _operations.Count;

    /// <summary>A moment, often soon after a file was cut: what stood in it must not come back.</summary>
    public int PickMoment(Random random)
    {
        var cuts = _operations.Index().Where(operation => operation.Item.Kind == Kind.SetLength).Select(operation => operation.Index).ToList();
        return cuts.Count > 0 && random.Next(3) == 0
            ? Math.Min(cuts[random.Next(cuts.Count)] + random.Next(30), Length)
            : random.Next(Length + 1);
    }

    /// <summary>Opens a real file and records from now on.</summary>
    public Stream Open(string path)
    {
        var file = StableFileStream.Open(path);
        var name = Path.GetFileName(path);
        if (!_before.ContainsKey(name))
        {
            var bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            _before[name] = bytes;
        }

        return new RecordedStream(file, this, name);
    }

    public void Written(string file, long position, byte[] bytes) => _operations.Add(new Operation(file, Kind.Write, position, bytes));

    public void Cut(string file, long length) => _operations.Add(new Operation(file, Kind.SetLength, length, []));

    public void Flushed(string file) => _operations.Add(new Operation(file, Kind.Flush, 0, []));

    /// <summary>Makes the files that can be found when the power fails after some operations.</summary>
    public void CutPower(int after, Random random, string folder)
    {
        foreach (var (name, before) in _before)
        {
            var operations = _operations.Take(after).Where(operation => operation.File == name).ToList();
            var flushed = operations.FindLastIndex(operation => operation.Kind == Kind.Flush) + 1;
            var image = new MemoryStream();
            image.Write(before);
            operations[..flushed].ForEach(operation => Apply(image, operation, _ => true));
            var share = random.Next(3) switch { 0 => 0.0, 1 => 1.0, _ => random.NextDouble() };
            operations[flushed..].ForEach(operation => Apply(image, operation, _ => random.NextDouble() < share));
            File.WriteAllBytes(Path.Combine(folder, name), image.ToArray());
        }
    }

    private static void Apply(MemoryStream image, Operation operation, Func<long, bool> isKept)
    {
        if (operation.Kind == Kind.SetLength && isKept(0))
        {
            image.SetLength(operation.Position);
        }
        else if (operation.Kind == Kind.Write)
        {
            // The length of a file can be there before its bytes are.
            if (isKept(0))
            {
                image.SetLength(Math.Max(image.Length, operation.Position + operation.Bytes.Length));
            }

            for (var start = 0; start < operation.Bytes.Length; start += Sector)
            {
                if (isKept(start))
                {
                    image.Position = operation.Position + start;
                    image.Write(operation.Bytes.AsSpan(start, Math.Min(Sector, operation.Bytes.Length - start)));
                }
            }
        }
    }

    private enum Kind
    {
        Write,
        SetLength,
        Flush,
    }

    private sealed record Operation(string File, Kind Kind, long Position, byte[] Bytes);
}
