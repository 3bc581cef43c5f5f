namespace BgSync.Http.LiteDB.Files;

/// <summary>The content of a log, found without LiteDB, which would add to a log that a crash has left half written.</summary>
internal sealed class LiteLog
{
    private readonly Stream _file;
    private readonly Dictionary<uint, long> _latest;

    private LiteLog(Stream file, Dictionary<uint, long> latest)
    {
        _file = file;
        _latest = latest;
    }

    /// <summary>Reads where the log has the last committed state of each page.</summary>
    public static LiteLog Read(Stream file)
    {
        var latest = new Dictionary<uint, long>();
        var underWay = new Dictionary<uint, List<(uint Page, long Position)>>();
        var page = new byte[LitePage.Size];
        for (var position = 0L; position + LitePage.Size <= file.Length; position += LitePage.Size)
        {
            ReadPage(file, position, page);
            if (LitePage.IsBlank(page))
            {
                continue;
            }

            var transaction = LitePage.TransactionOf(page);
            if (!underWay.TryGetValue(transaction, out var pages))
            {
                underWay.Add(transaction, pages = []);
            }

            pages.Add((LitePage.IdOf(page), position));
            if (LitePage.IsConfirmed(page))
            {
                pages.ForEach(written => latest[written.Page] = written.Position);
                underWay.Remove(transaction);
            }
        }

        return new LiteLog(file, latest);
    }

    /// <summary>The highest page of which the log has a state.</summary>
    public uint LastPage => _latest.Keys.DefaultIfEmpty().Max();

    /// <summary>Reads the last committed state of a page.</summary>
    /// <returns>Whether the log has one.</returns>
    public bool TryReadPage(uint id, byte[] page)
    {
        if (!_latest.TryGetValue(id, out var position))
        {
            return false;
        }

        ReadPage(_file, position, page);
        LitePage.ClearTransaction(page);
        return true;
    }

    /// <summary>Writes what was committed into the data file, and empties the log. After a crash it is done again.</summary>
    public void Apply(Stream data)
    {
        var page = new byte[LitePage.Size];
        foreach (var id in _latest.Keys.Order())
        {
            TryReadPage(id, page);
            data.Position = (long)id * LitePage.Size;
            data.Write(page, 0, LitePage.Size);
        }

        if (_latest.Count > 0)
        {
            data.Flush();
        }

        if (_file.Length > 0)
        {
            _file.SetLength(0);
            _file.Flush();
        }
    }

    private static void ReadPage(Stream file, long position, byte[] page)
    {
        file.Position = position;
        file.ReadExactly(page);
    }
}
