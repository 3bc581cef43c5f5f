using System.Buffers.Binary;
using LiteDB;

namespace BgSync.Http.LiteDB.Files;

/// <summary>
/// Reads what can be read of a damaged file. It looks at every page of documents by itself, because LiteDB finds documents through
/// indexes, and gives up at the first that is damaged.
/// </summary>
internal sealed class LiteSalvage(LiteFiles files, LiteLog log)
{
    private const int BlockHeader = 6;

    // LiteDB writes no larger document; what is longer goes round in a circle.
    private const int LargestDocument = 17 << 20;

    private readonly byte[] _other = new byte[LitePage.Size];

    /// <summary>The documents, in the order of their pages.</summary>
    public IEnumerable<SalvagedDocument> Read()
    {
        var names = files.ReadHeader(log)?.ReadCollections() ?? [];
        var page = new byte[LitePage.Size];
        var last = Math.Max((uint)(files.Data.Length / LitePage.Size), log.LastPage);
        for (var id = 1u; id <= last; id++)
        {
            if (!TryReadPage(id, page))
            {
                continue;
            }

            var collection = names.GetValueOrDefault(LitePage.CollectionOf(page));
            for (var slot = 0; slot < LitePage.SlotsOf(page); slot++)
            {
                if (TryReadDocument(page, slot) is { } document)
                {
                    yield return new SalvagedDocument(collection, document);
                }
            }
        }
    }

    private BsonDocument? TryReadDocument(byte[] page, int slot)
    {
        var block = LitePage.Slot(page, slot);
        if (block.Length < BlockHeader || IsContinuation(block))
        {
            return null;
        }

        var bytes = new MemoryStream();
        while (true)
        {
            bytes.Write(block[BlockHeader..]);
            var next = BinaryPrimitives.ReadUInt32LittleEndian(block[1..]);
            if (next == uint.MaxValue)
            {
                break;
            }

            var nextSlot = block[5];
            if (bytes.Length > LargestDocument || !TryReadPage(next, _other))
            {
                return null;
            }

            block = LitePage.Slot(_other, nextSlot);
            if (block.Length < BlockHeader || !IsContinuation(block))
            {
                return null;
            }
        }

        try
        {
            return BsonSerializer.Deserialize(bytes.ToArray(), utcDate: true);
        }
        catch (Exception)
        {
            // LiteDB throws whatever comes up when bytes are no document.
            return null;
        }
    }

    private static bool IsContinuation(ReadOnlySpan<byte> block) => block[0] != 0;

    private bool TryReadPage(uint id, byte[] page)
    {
        try
        {
            return (log.TryReadPage(id, page) || files.TryReadData(id, page))
                && LitePage.TypeOf(page) == LitePage.DataType
                && LitePage.IdOf(page) == id;
        }
        catch (IOException)
        {
            // A block that the disk cannot read any more.
            return false;
        }
    }
}
