using System.Buffers.Binary;

namespace BgSync.Http.LiteDB.Files;

/// <summary>The parts of a page of LiteDB 5 that this library knows.</summary>
internal static class LitePage
{
    public const int Size = 8192;

    public const byte DataType = 4;

    private const int TypeAt = 4;
    private const int TransactionAt = 14;
    private const int ConfirmedAt = 18;
    private const int CollectionAt = 19;
    private const int HighestSlotAt = 30;

    public static uint IdOf(ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt32LittleEndian(page);

    public static byte TypeOf(ReadOnlySpan<byte> page) => page[TypeAt];

    public static uint TransactionOf(ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt32LittleEndian(page[TransactionAt..]);

    /// <summary>Whether the page ends a transaction that was committed.</summary>
    public static bool IsConfirmed(ReadOnlySpan<byte> page) => page[ConfirmedAt] != 0;

    public static void SetConfirmed(Span<byte> page, bool value) => page[ConfirmedAt] = value ? (byte)1 : (byte)0;

    /// <summary>The page as it stands in the data file.</summary>
    public static void ClearTransaction(Span<byte> page)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(page[TransactionAt..], uint.MaxValue);
        SetConfirmed(page, false);
    }

    /// <summary>The page of the collection to which the page belongs.</summary>
    public static uint CollectionOf(ReadOnlySpan<byte> page) => BinaryPrimitives.ReadUInt32LittleEndian(page[CollectionAt..]);

    /// <summary>How many slots there may be.</summary>
    public static int SlotsOf(ReadOnlySpan<byte> page) => page[HighestSlotAt] == byte.MaxValue ? 0 : page[HighestSlotAt] + 1;

    /// <summary>The content of a slot; nothing when it is empty or says what cannot be.</summary>
    public static ReadOnlySpan<byte> Slot(ReadOnlySpan<byte> page, int number)
    {
        var footer = page[(Size - ((number + 1) * 4))..];
        var length = BinaryPrimitives.ReadUInt16LittleEndian(footer);
        var position = BinaryPrimitives.ReadUInt16LittleEndian(footer[2..]);
        return position != 0 && position + length <= Size ? page.Slice(position, length) : [];
    }

    /// <summary>Whether nothing was ever written, or what was written has not reached the disk.</summary>
    public static bool IsBlank(ReadOnlySpan<byte> page) => !page[..16].ContainsAnyExcept((byte)0);
}
