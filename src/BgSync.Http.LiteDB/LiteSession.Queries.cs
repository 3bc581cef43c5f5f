using BgSync.Http.LiteDB.Collections;
using LiteDB;

namespace BgSync.Http.LiteDB;

internal sealed partial class LiteSession
{
    // LiteDB compiles an expression for each text that it sees, and keeps it for ever: values are parameters, never part of a text.
    private readonly BsonExpression _isId = BsonExpression.Create("$._id = @0", BsonValue.Null);
    private readonly Dictionary<LiteIndex, BsonExpression> _ranges = [];
    private readonly Dictionary<LiteIndex, BsonExpression> _keys = [];

    /// <summary>The changes of this transaction to the queues and to the count of ids, to be written when it is committed.</summary>
    public LiteChanges Changes { get; } = new();

    /// <summary>How many documents and keys were read: the cost of an operation, whatever else the machine does.</summary>
    public long Reads { get; private set; }

    /// <summary>The store that this session is of.</summary>
    public Guid Owner { get; set; }

    /// <summary>The document with an id.</summary>
    public BsonDocument? Get(string collection, BsonValue id)
    {
        // Read when the query begins, so that the next one may have another.
        _isId.Parameters["0"] = id;
        return Read(collection, new Query { Where = { _isId }, Limit = 1 }).FirstOrDefault();
    }

    /// <summary>All documents of a collection that never has many.</summary>
    public List<BsonDocument> ReadAll(string collection) => Read(collection, new Query());

    /// <summary>The documents whose keys are between two, both included, in the order of the keys.</summary>
    public List<BsonDocument> Between(
        string collection, LiteIndex index, BsonValue first, BsonValue last, int limit = int.MaxValue, bool descending = false) =>
        Read(collection, Range(index, first, last, limit, descending));

    /// <summary>The first document whose key is between two, both included, or the last one.</summary>
    public BsonDocument? FirstBetween(string collection, LiteIndex index, BsonValue first, BsonValue last, bool descending = false) =>
        Between(collection, index, first, last, 1, descending).FirstOrDefault();

    /// <summary>The first documents whose keys are between two, before one that is not wanted; those behind it are not read.</summary>
    public List<BsonDocument> BetweenWhile(
        string collection, LiteIndex index, BsonValue first, BsonValue last, int limit, Func<BsonDocument, bool> isWanted) =>
        Read(collection, Range(index, first, last, limit, descending: false), isWanted);

    /// <summary>
    /// All whose keys are between two, a few at a time, for a caller that does not know how many it takes. Nothing is to be written meanwhile.
    /// </summary>
    public IEnumerable<BsonDocument> Walk(string collection, LiteIndex index, BsonValue first, BsonValue last)
    {
        for (var limit = 4; ; limit = Math.Min(limit * 4, 64))
        {
            var page = Between(collection, index, first, last, limit);
            foreach (var document in page)
            {
                yield return document;
            }

            if (page.Count < limit)
            {
                yield break;
            }

            first = index.After(page[^1]);
        }
    }

    /// <summary>Keys between two, both included, without their documents.</summary>
    public List<BsonValue> Keys(string collection, LiteIndex index, BsonValue first, BsonValue last, int limit = int.MaxValue)
    {
        var query = Range(index, first, last, limit, descending: false);
        query.Select = _keys[index];
        return Read(collection, query).ConvertAll(key => key[index.Field]);
    }

    /// <summary>How LiteDB looks for keys between two.</summary>
    public BsonDocument Explain(string collection, LiteIndex index, BsonValue first, BsonValue last)
    {
        var query = Range(index, first, last, 1, descending: !index.IsOfArray);
        query.ExplainPlan = true;
        return Find(collection, query).Single();
    }

    /// <summary>Makes an index, and its collection, unless there is one of that name.</summary>
    public void EnsureIndex(string collection, LiteIndex index) =>
        EnsureIndex(collection, index.Field, BsonExpression.Create(index.Expression));

    /// <summary>Makes a collection, unless there is one of that name.</summary>
    public void EnsureCollection(string collection)
    {
        if (!Collections.Contains(collection))
        {
            // The one way to make one is to put something into it.
            Insert(collection, new BsonDocument { ["_id"] = 0 });
            Delete(collection, 0);
        }
    }

    private List<BsonDocument> Read(string collection, Query query, Func<BsonDocument, bool>? isWanted = null)
    {
        var documents = Find(collection, query, isWanted);
        Reads += documents.Count;
        return documents;
    }

    private Query Range(LiteIndex index, BsonValue first, BsonValue last, int limit, bool descending)
    {
        if (!_ranges.TryGetValue(index, out var range))
        {
            var any = index.IsOfArray ? " ANY" : "";
            _ranges[index] = range = BsonExpression.Create($"{index.Expression}{any} BETWEEN @0 AND @1", BsonValue.Null, BsonValue.Null);
            _keys[index] = BsonExpression.Create(index.Expression);
        }

        range.Parameters["0"] = first;
        range.Parameters["1"] = last;
        return new Query
        {
            Where = { range },
            OrderBy = index.IsOfArray ? null : _keys[index],
            Order = descending ? Query.Descending : Query.Ascending,
            Limit = limit,
        };
    }
}
