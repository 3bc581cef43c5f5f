using System.Buffers;
using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;
using System.Text.Json;
using BgSync.Http.Capture;

namespace BgSync.Http.Storage.Format;

/// <summary>The columns of an entry as it is stored. Anything may be missing from a damaged one.</summary>
internal sealed record EntryRow
{
    // Its state is larger than most rows.
    [ThreadStatic]
    private static XxHash3? _hash;

    public string? Queue { get; init; }

    public string? Lane { get; init; }

    public long Timestamp { get; init; }

    public long ExpiresAt { get; init; }

    public string? Method { get; init; }

    public string? Uri { get; init; }

    public string? Origin { get; init; }

    public string? Version { get; init; }

    public long VersionPolicy { get; init; }

    public string? Headers { get; init; }

    public string? ContentHeaders { get; init; }

    public string? Metadata { get; init; }

    public string? TraceParent { get; init; }

    public byte[]? Body { get; init; }

    public long? BodyId { get; init; }

    public long BodyLength { get; init; }

    public long Checksum { get; init; }

    public string? CoalesceKey { get; init; }

    public long? Prerequisite { get; init; }

    public long Priority { get; init; }

    public bool IsWhole => Checksum == ComputeChecksum();

    public static EntryRow From(NewEntry entry)
    {
        var row = new EntryRow
        {
            Queue = entry.Queue,
            Timestamp = UnixTime.Of(entry.Timestamp),
            ExpiresAt = UnixTime.Of(entry.ExpiresAt),
            Metadata = Encode(entry.Metadata),
            TraceParent = entry.TraceParent,
            CoalesceKey = entry.CoalesceKey,
            Prerequisite = entry.Prerequisite,
            Priority = (long)entry.Priority,
        };
        return row.With(entry.Lane, entry.Request, entry.Body);
    }

    /// <summary>The same row as it is after an edit, with another body where one is given.</summary>
    public EntryRow With(QueuedEntry edited, EntryBody? body)
    {
        var row = this with
        {
            Timestamp = UnixTime.Of(edited.Timestamp),
            ExpiresAt = UnixTime.Of(edited.ExpiresAt),
            Metadata = Encode(edited.Metadata),
            TraceParent = edited.TraceParent,
            CoalesceKey = edited.CoalesceKey,
            Prerequisite = edited.Prerequisite,
        };
        return row.With(edited.Lane, edited.Request, body);
    }

    /// <summary>The same row with another lane and request, and with another body where one is given.</summary>
    private EntryRow With(string lane, RequestSnapshot request, EntryBody? body)
    {
        var row = this with
        {
            Lane = lane,
            Method = request.Method.Method,
            Uri = RequestAddress.Format(request.Uri),
            Origin = request.Origin,
            Version = request.Version.ToString(),
            VersionPolicy = (long)request.VersionPolicy,
            Headers = HeaderJson.Write(request.Headers),
            ContentHeaders = request.ContentHeaders is { } contentHeaders ? HeaderJson.Write(contentHeaders) : null,
        };
        return (body is { } given ? row.With(given) : row).Sealed();
    }

    /// <summary>The same row with the checksum that it ought to have.</summary>
    public EntryRow Sealed() => this with { Checksum = ComputeChecksum() };

    /// <summary>Makes the entry of it, or says why that cannot be done.</summary>
    public QueuedEntry? Decode(long id, int attempts, string? lastError, out string? damage)
    {
        if (!IsWhole)
        {
            damage = "The entry's checksum is wrong: what is stored is not what was written.";
            return null;
        }

        try
        {
            damage = null;
            return new QueuedEntry
            {
                Id = id,
                Revision = RevisionOf(Checksum, attempts),
                Queue = Queue!,
                Lane = Lane!,
                Priority = (EntryPriority)Priority,
                Request = new RequestSnapshot
                {
                    Method = new HttpMethod(Method!),
                    Uri = RequestAddress.Parse(Uri!),
                    Version = System.Version.Parse(Version!),
                    VersionPolicy = (HttpVersionPolicy)VersionPolicy,
                    Headers = HeaderJson.Read(Headers!),
                    ContentHeaders = ContentHeaders is null ? null : HeaderJson.Read(ContentHeaders),
                },
                BodyLength = BodyLength,
                Timestamp = UnixTime.ToTime(Timestamp),
                ExpiresAt = UnixTime.ToTime(ExpiresAt),
                Metadata = Metadata is null ? new Dictionary<string, string>() : HeaderJson.ReadMetadata(Metadata),
                TraceParent = TraceParent,
                CoalesceKey = CoalesceKey,
                Prerequisite = Prerequisite,
                Attempts = attempts,
                LastError = lastError,
            };
        }
        catch (Exception exception) when (exception is FormatException or JsonException or ArgumentException)
        {
            damage = "The entry cannot be decoded: " + exception.Message;
            return null;
        }
    }

    /// <summary>The mark that tells a reading of an entry from a later one.</summary>
    public static long RevisionOf(long checksum, int attempts) => unchecked(checksum + attempts);

    private static string? Encode(IReadOnlyDictionary<string, string>? metadata) =>
        metadata is { Count: > 0 } ? HeaderJson.WriteMetadata(metadata) : null;

    private EntryRow With(EntryBody body) => this with
    {
        Body = body.Length > 0 && body.StoredId is null ? body.Inline.ToArray() : null,
        BodyId = body.StoredId,
        BodyLength = body.Length,
    };

    private long ComputeChecksum()
    {
        var hash = _hash ??= new XxHash3();
        hash.Reset();
        AppendText(Queue);
        AppendText(Lane);
        AppendNumber(Timestamp);
        AppendNumber(ExpiresAt);
        AppendText(Method);
        AppendText(Uri);
        AppendText(Origin);
        AppendText(Version);
        AppendNumber(VersionPolicy);
        AppendText(Headers);
        AppendText(ContentHeaders);
        AppendText(Metadata);
        AppendText(TraceParent);
        AppendBytes(Body);
        AppendNumber(BodyId ?? -1);
        AppendNumber(BodyLength);
        // Not of the first version: rows that have none of them are summed as they were then.
        if (CoalesceKey is not null || Prerequisite is not null || Priority != 0)
        {
            AppendText(CoalesceKey);
            AppendNumber(Prerequisite ?? -1);
            AppendNumber(Priority);
        }

        return (long)hash.GetCurrentHashAsUInt64();

        // The length goes before the bytes, so that no two rows run together to the same hash.
        void AppendText(string? text)
        {
            var buffer = ArrayPool<byte>.Shared.Rent(Encoding.UTF8.GetMaxByteCount(text?.Length ?? 0));
            var length = Encoding.UTF8.GetBytes(text, buffer);
            AppendNumber(text is null ? -1 : length);
            hash.Append(buffer.AsSpan(0, length));
            ArrayPool<byte>.Shared.Return(buffer);
        }

        void AppendBytes(byte[]? bytes)
        {
            AppendNumber(bytes?.Length ?? -1);
            hash.Append(bytes.AsSpan());
        }

        void AppendNumber(long number)
        {
            Span<byte> buffer = stackalloc byte[sizeof(long)];
            BinaryPrimitives.WriteInt64LittleEndian(buffer, number);
            hash.Append(buffer);
        }
    }
}
