import json
def statuses(project, *names):
    project.dbt("test", "--select", *names)
    return {r["unique_id"].split(".")[2]: r["status"] for r in project.results()}

def test_break_lists(project):
    names = ["included_labels_are_reviewed","original_spellings_are_reviewed","corrected_spellings_are_included","flagged_labels_are_included"]
    assert set(statuses(project, *names).values()) == {"pass"}
    with project.connect() as c:
        c.execute("delete from refinery.reviewed_labels where label in ('Cat','Fireman')")
        c.execute("delete from refinery.included_labels where label in ('ATM','Rifle')")
    got = statuses(project, *names)
    assert len(got) == 4 and set(got.values()) == {"fail"}, got
    project.build("seed")
    assert set(statuses(project, *names).values()) == {"pass"}

def test_break_merge(project):
    name = "merged_tags_are_the_catalogs_then_the_machines"
    u = "00000000-0000-4000-8000-00000000000"
    with project.connect() as c:
        c.execute("insert into catalog.image (identifier, provider, tags) values (%s,'flickr',%s),(%s,'flickr',%s),(%s,'flickr',null)",
          (u+"1", '[{"name":"a"},{"name":"b"},{"name":"old","provider":"rekognition"},null,5]', u+"2", '[{"name":"x"}]', u+"3"))
        c.execute("insert into refinery.int_machine_labels (identifier, provider, names, accuracies, label_model_version, response_id) values (%s,'rekognition','{Cat,Dog}','{0.9,0.8}',null,0),(%s,'rekognition','{}','{}',null,0)", (u+"1",u+"3"))
        try:
            assert set(statuses(project, name).values()) == {"pass"}
            (d,) = c.execute("select pg_get_functiondef(oid) from pg_proc where proname='merged_tags'").fetchone()
            for old, new in [("merged := merged || tag;","merged := tag || merged;"),("continue when","exit when"),("return to_jsonb(merged)","return to_jsonb(merged[:cardinality(merged)-1])"),("for place in 1 ..", "for place in 2 .."), ("continue when tag", "continue when false and tag")]:
                assert old in d
                c.execute(d.replace(old,new,1))
                assert set(statuses(project, name).values()) == {"fail"}, old
            c.execute(d)
            assert set(statuses(project, name).values()) == {"pass"}
        finally:
            c.execute("delete from catalog.image"); c.execute("delete from refinery.int_machine_labels"); c.execute(d)
