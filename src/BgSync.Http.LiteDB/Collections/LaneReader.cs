using BgSync.Http.LiteDB.Documents;
using LiteDB;

namespace BgSync.Http.LiteDB.Collections;

/// <summary>The lanes of many entries, each lane read once.</summary>
internal sealed class LaneReader(LiteSession session, LiteQueue queue)
{
    private readonly Dictionary<string, LiteLane?> _lanes = [];

    public LiteLane? Find(BsonDocument entry)
    {
        var name = entry.Text("lane") ?? "";
        if (!_lanes.TryGetValue(name, out var lane))
        {
            _lanes[name] = lane = LaneCollection.Find(session, queue, name);
        }

        return lane;
    }
}
