using System.Diagnostics.CodeAnalysis;

namespace BgSync.Http.Storage;

/// <summary>A leased entry, or the reason why it cannot be read.</summary>
internal sealed record LeasedEntry
{
    /// <summary>The lease, to be settled.</summary>
    public required Lease Lease { get; init; }

    /// <summary>The entry; <see langword="null"/> when it is <see cref="Damage">damaged</see>.</summary>
    public QueuedEntry? Entry { get; init; }

    /// <summary>
    /// The body, where it is kept beside the entry and was read with it; <see langword="null"/> when it is to be opened
    /// (<see cref="IQueueStore.OpenBodyAsync"/>).
    /// </summary>
    public ReadOnlyMemory<byte>? Body { get; init; }

    /// <summary>Why the stored entry is not what was written; <see langword="null"/> when it is whole.</summary>
    public string? Damage { get; init; }

    /// <summary>Whether the entry can be read.</summary>
    [MemberNotNullWhen(true, nameof(Entry))]
    public bool IsReadable => Entry is not null && Damage is null;
}
