using BgSync.Http.LiteDB.Documents;
using BgSync.Http.Storage;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The counts, the ends and the pause of a queue. The session writes what has changed when it commits.</summary>
internal sealed class LiteQueue
{
    private long _pending;
    private long _bytes;
    private long _nextBack;
    private long _nextFront = -1;
    private long _nextDeadLetter;

    public LiteQueue(string name, string collection)
    {
        Name = name;
        Collection = collection;
        Key = IndexKey.Hash(name);
    }

    public string Name { get; }

    /// <summary>The collection of its entries.</summary>
    public string Collection { get; }

    /// <summary>Its name as keys have it.</summary>
    public byte[] Key { get; }

    public bool IsChanged { get; private set; }

    public long DeadLettered { get; private set; }

    /// <summary>How many of its entries have a prerequisite: mostly none, and then none needs to be looked for.</summary>
    public long Dependents { get; private set; }

    public QueuePause? Pause { get; private set; }

    public static LiteQueue Read(BsonDocument document)
    {
        var name = document.Text("name") ?? "";
        return new LiteQueue(name, document.Text("collection") ?? CollectionName.Of(name))
        {
            _pending = document.Number("live") ?? 0,
            _bytes = document.Number("bytes") ?? 0,
            _nextBack = document.Number("nextBack") ?? 0,
            _nextFront = document.Number("nextFront") ?? -1,
            _nextDeadLetter = document.Number("nextDeath") ?? 0,
            DeadLettered = document.Number("dead") ?? 0,
            Dependents = document.Number("dependents") ?? 0,
            Pause = ReadPause(document.Document("pause")),
        };
    }

    public BsonDocument Write(string id)
    {
        IsChanged = false;
        var document = new BsonDocument
        {
            ["_id"] = id,
            ["name"] = BsonText.Of(Name),
            ["collection"] = Collection,
            ["live"] = _pending,
            ["bytes"] = _bytes,
            ["dead"] = DeadLettered,
            ["dependents"] = Dependents,
            ["nextBack"] = _nextBack,
            ["nextFront"] = _nextFront,
            ["nextDeath"] = _nextDeadLetter,
        };
        document.Put("pause", Pause is null ? null : new BsonDocument
        {
            ["cause"] = Pause.Cause.ToString(),
            ["reason"] = BsonText.Of(Pause.Reason),
            ["since"] = BsonTime.Of(Pause.Since.ToUnixTimeMilliseconds()),
        });
        return document;
    }

    /// <summary>Takes the next position at an end of the queue, among those of its priority.</summary>
    public long TakePosition(EntryPriority priority, QueueEnd end)
    {
        IsChanged = true;
        return EntryPosition.At(priority, end == QueueEnd.Back ? _nextBack++ : _nextFront--);
    }

    /// <summary>Goes on where another state of the queue had come to: its ends and its pause.</summary>
    public void Continue(LiteQueue other)
    {
        IsChanged = true;
        _nextBack = Math.Max(_nextBack, other._nextBack);
        _nextFront = Math.Min(_nextFront, other._nextFront);
        _nextDeadLetter = Math.Max(_nextDeadLetter, other._nextDeadLetter);
        Pause = other.Pause;
    }

    /// <summary>Sees to it that a position that is taken is not given again.</summary>
    public void Pass(long position)
    {
        var number = position - EntryPosition.At((EntryPriority)(-EntryPosition.BandOf(position)), 0);
        IsChanged = true;
        _nextBack = Math.Max(_nextBack, number + 1);
        _nextFront = Math.Min(_nextFront, number - 1);
    }

    /// <summary>Sees to it that dead letters to come stand behind one that is there.</summary>
    public void PassDeadLetter(long ordinal)
    {
        IsChanged = true;
        _nextDeadLetter = Math.Max(_nextDeadLetter, ordinal + 1);
    }

    /// <summary>The place of the next dead letter in their order.</summary>
    public long TakeDeadLetterOrdinal()
    {
        IsChanged = true;
        return _nextDeadLetter++;
    }

    /// <summary>Counts an entry in that has its position.</summary>
    public void Enter(long bytes)
    {
        IsChanged = true;
        _pending++;
        _bytes += bytes;
    }

    /// <summary>Counts an entry out. An empty queue holds no bytes, whatever a damaged document claimed.</summary>
    public void Leave(long bytes)
    {
        IsChanged = true;
        _pending = Math.Max(_pending - 1, 0);
        _bytes = _pending == 0 ? 0 : Math.Max(_bytes - bytes, 0);
    }

    /// <summary>Counts what the body of an entry has grown by.</summary>
    public void Grow(long bytes)
    {
        IsChanged = true;
        _bytes = Math.Max(_bytes + bytes, 0);
    }

    /// <summary>Counts dead letters in or out.</summary>
    public void CountDeadLetters(int change)
    {
        IsChanged = true;
        DeadLettered = Math.Max(DeadLettered + change, 0);
    }

    /// <summary>Counts entries in or out that have a prerequisite.</summary>
    public void CountDependents(int change)
    {
        IsChanged |= change != 0;
        Dependents = Math.Max(Dependents + change, 0);
    }

    public void SetPause(QueuePause? pause)
    {
        IsChanged = true;
        Pause = pause;
    }

    /// <summary>The excess that has to leave the queue before a new entry fits.</summary>
    public QueueExcess ExcessOf(QueueLimits limits, long newBytes) => limits.ExcessOf(_pending, _bytes, newBytes);

    public QueueCounts Count(long expired) => new(_pending, DeadLettered, _bytes, expired);

    private static QueuePause? ReadPause(BsonDocument? pause) =>
        pause is not null && Enum.TryParse<PauseCause>(pause.Text("cause"), out var cause)
            ? new QueuePause(
                cause, pause.Text("reason") ?? "", BgSync.Http.Storage.Format.UnixTime.ToTime(pause.Time("since")))
            : null;
}
