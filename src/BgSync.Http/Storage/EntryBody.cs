namespace BgSync.Http.Storage;

/// <summary>The body of a new entry: inline bytes, or one that was streamed into the store before.</summary>
internal readonly record struct EntryBody
{
    private EntryBody(ReadOnlyMemory<byte> inline, long? storedId, long length)
    {
        Inline = inline;
        StoredId = storedId;
        Length = length;
    }

    /// <summary>No body.</summary>
    public static EntryBody Empty => default;

    /// <summary>The bytes of an inline body.</summary>
    public ReadOnlyMemory<byte> Inline { get; }

    /// <summary>The id of a streamed body (<see cref="IStoredBodyWriter.Id"/>); <see langword="null"/> for an inline one.</summary>
    public long? StoredId { get; }

    /// <summary>The length in bytes.</summary>
    public long Length { get; }

    /// <summary>A body small enough to be kept beside the entry.</summary>
    public static EntryBody FromBytes(ReadOnlyMemory<byte> bytes) => new(bytes, null, bytes.Length);

    /// <summary>A body that was streamed into the store; the entry takes it over.</summary>
    public static EntryBody FromWriter(IStoredBodyWriter writer)
    {
        ArgumentNullException.ThrowIfNull(writer);
        return new(default, writer.Id, writer.Length);
    }
}
