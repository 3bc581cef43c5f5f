using BgSync.Http.LiteDB.Documents;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>
/// The ids of entries, requests written ahead and bodies, none of which is given twice: LiteDB's own begin anew when a collection is empty.
/// </summary>
internal sealed class IdCounter
{
    public const string DocumentId = "ids";

    private long? _next;
    private bool _isChanged;

    public long Take(LiteSession session)
    {
        var next = Peek(session);
        _next = next + 1;
        _isChanged = true;
        return next;
    }

    /// <summary>Sees to it that an id that is in use already is not given.</summary>
    public void Skip(LiteSession session, long id)
    {
        if (Peek(session) <= id)
        {
            _next = id + 1;
            _isChanged = true;
        }
    }

    public void Save(LiteSession session)
    {
        if (_isChanged)
        {
            session.Upsert(LiteSchema.Store, new BsonDocument { ["_id"] = DocumentId, ["next"] = _next!.Value });
            _isChanged = false;
        }
    }

    public void Forget()
    {
        _next = null;
        _isChanged = false;
    }

    private long Peek(LiteSession session) => _next ??= session.Get(LiteSchema.Store, DocumentId)?.Number("next") ?? 1;
}
