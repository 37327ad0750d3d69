-- lower() follows the database's locale, so that one list would mean different things on two
-- servers. Letters that are not in these two lines match in their own case alone. translate() is
-- slow, so only names that are not all ASCII (more bytes than characters) pay for it.
select
    {{ function('trim_white_space') }}(
        lower(
            case
                when octet_length(name) = char_length(name)
                    then name
                else
                    translate(
                        name,
                        'ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÐÑÒÓÔÕÖØÙÚÛÜÝÞ'
                        || 'ĀĂĄĆĈĊČĎĐĒĔĖĘĚĜĞĠĢĤĦĨĪĬĮĲĴĶĹĻĽĿŁŃŅŇŊŌŎŐŒŔŖŘŚŜŞŠŢŤŦŨŪŬŮŰŲŴŶŸŹŻŽ',
                        'àáâãäåæçèéêëìíîïðñòóôõöøùúûüýþ'
                        || 'āăąćĉċčďđēĕėęěĝğġģĥħĩīĭįĳĵķĺļľŀłńņňŋōŏőœŕŗřśŝşšţťŧũūŭůűųŵŷÿźżž'
                    )
            end collate "C"
        )
    )
